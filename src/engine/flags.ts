/** What a pattern means, as the compiler writes it (src/compiler/shape.ts): bits of one number. */

export const FLAG_FAILURE: i32 = 1;
/** The connection ends with this line. */
export const FLAG_ENDS: i32 = 2;
/** A login succeeded. */
export const FLAG_GAINED: i32 = 4;
/** The filter ignores the line. */
export const FLAG_IGNORE: i32 = 8;
/** The pattern captures an address. */
export const FLAG_ADDRESS: i32 = 16;
/** The stage of the attempt that the line tells of, 0–7 (connection.ts). */
export const FLAG_STAGE_SHIFT: i32 = 5;
export const FLAG_STAGE_MAX: i32 = 7;
/** The pattern takes whole lines only: what follows a cut could change its meaning. */
export const FLAG_WHOLE: i32 = 256;
/** Addresses follow the captured one, a blank apart, up to a quote: each of them fails as well. */
export const FLAG_LIST: i32 = 1024;
/** A PAM module's verdict, which waits for that of the service (attempts.ts). */
export const FLAG_TENTATIVE: i32 = 512;
