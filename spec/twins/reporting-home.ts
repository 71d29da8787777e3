/** Broken on purpose: tells another host what was banned. */
export async function report(address: string): Promise<void> {
  await fetch(`https://example.com/banned/${address}`);
}
