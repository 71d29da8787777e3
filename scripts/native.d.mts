/** Types of native.mjs. */
export const sanitized: string[];
export function buildNative(
  output?: string,
  how?: string[],
  machine?: { compiler: string[]; env: NodeJS.ProcessEnv; node: string },
): { built: boolean; output: string };
