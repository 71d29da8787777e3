/** The engine's one memory in the wasm build for processors without SIMD. */
export * from '#access';
export * from './bytewise';
