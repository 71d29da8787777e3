/** Broken on purpose: takes the first backend, whatever its installation said. */
import type { chooseBackend } from '../../src/backends/choose.ts';

export const hopefulChooser: typeof chooseBackend = async (firewall, jails, say, rows = []) => {
  const [first] = rows;
  if (first === undefined) throw new Error('no backend at all');
  const backend = await first.load(firewall, say);
  await backend.install(jails).catch(() => {});
  return { backend, attempts: [] };
};
