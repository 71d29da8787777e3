/** Types of native.mjs. */
export const sanitized: string[];
export function buildNative(output?: string, how?: string[]): { built: boolean; output: string };
