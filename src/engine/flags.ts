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
/** The stage of the attempt that the line reports, 0–7 (connection.ts). */
export const FLAG_STAGE_SHIFT: i32 = 5;
export const FLAG_STAGE_MAX: i32 = 7;
/** The pattern matches whole lines only: the part after a cut could change its meaning. */
export const FLAG_WHOLE: i32 = 256;
/**
 * More addresses follow the captured one, separated by blanks, up to a quote: each of them failed
 * as well.
 */
export const FLAG_LIST: i32 = 1024;
/** A PAM module's failure, which waits for the verdict of the service (attempts.ts). */
export const FLAG_TENTATIVE: i32 = 512;
