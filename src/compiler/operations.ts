/**
 * Numbers of the interpreter's instructions; src/engine/interpreter.ts has the same, and a test
 * compares.
 */
export const operation = {
  literal: 1,
  choice: 2,
  optional: 3,
  either: 4,
  list: 5,
  repeat: 6,
  span: 7,
  ip: 8,
  time: 9,
  end: 10,
  text: 11,
} as const;
