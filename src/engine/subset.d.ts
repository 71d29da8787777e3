/**
 * Number types of the AssemblyScript subset, as tsc sees them. The wasm build has them built in and
 * never reads this file.
 */
declare type i32 = number;
declare type u32 = number;
declare type f64 = number;
declare type bool = boolean;
