/**
 * Single bytes that the engine searches for.
 */

export const TAB: i32 = 9;
export const NEWLINE: i32 = 10;
export const RETURN: i32 = 13;
export const ESCAPE: i32 = 27;
export const SPACE: i32 = 32;
export const QUOTE: i32 = 34;
export const PERCENT: i32 = 37;
export const STAR: i32 = 42;
export const PLUS: i32 = 43;
export const COMMA: i32 = 44;
export const HYPHEN: i32 = 45;
export const DOT: i32 = 46;
export const SLASH: i32 = 47;
export const ZERO: i32 = 48;
export const ONE: i32 = 49;
export const NINE: i32 = 57;
export const COLON: i32 = 58;
export const LESS: i32 = 60;
export const EQUALS: i32 = 61;
export const GREATER: i32 = 62;
export const AT: i32 = 64;
export const UPPER_A: i32 = 65;
export const UPPER_F: i32 = 70;
export const UPPER_P: i32 = 80;
export const UPPER_T: i32 = 84;
export const UPPER_Z: i32 = 90;
export const OPEN_BRACKET: i32 = 91;
export const BACKSLASH: i32 = 92;
export const CLOSE_BRACKET: i32 = 93;
export const UNDERSCORE: i32 = 95;
export const LOWER_A: i32 = 97;
export const LOWER_F: i32 = 102;
export const LOWER_Z: i32 = 122;
export const OPEN_BRACE: i32 = 123;
export const CLOSE_BRACE: i32 = 125;
