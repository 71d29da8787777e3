/** Types of native.mjs, which is plain JavaScript so that any Node can run it. */
export function buildNative(): { built: boolean; output: string };
