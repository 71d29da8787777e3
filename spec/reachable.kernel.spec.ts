/**
 * Our own promises about what a ban must not cut off, and what it must not miss: the scenarios of
 * test/netns/reachable.scenario.ts in namespaces, with a real router and a real destination NAT.
 */
import { claim, twin } from './claim.ts';
import { assertScene, breakage, impatient, scenarios } from './support/scenarios.ts';

const needs = ['linux', 'root', 'namespaces', 'built', 'nft'] as const;
const backends = ['nftables', 'ipset', 'iptables'];
const discovery = backends.map(
  (name) => `${name} lets neighbour discovery pass: a client behind a banned router reaches the host`,
);
const published = backends.map((name) => `${name} takes ports as the client asked for them, before a destination NAT`);

claim(
  'X-neighbours',
  scenarios({ reachable: discovery }),
  async (scene) => `${await assertScene(scene)}: the router is banned, and a client behind it reaches the host`,
  [
    twin(
      'rules that stop neighbour discovery with all else',
      scenarios(
        { reachable: discovery.slice(0, 1) },
        breakage('neighbour discovery is stopped with all else'),
        impatient,
      ),
      /lets neighbour discovery pass/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

claim(
  'X-published',
  scenarios({ reachable: published }),
  async (scene) => `${await assertScene(scene)}: a port that is published by DNAT is the one that the client asked for`,
  [
    twin(
      "rules that look at the packet's own port",
      scenarios(
        { reachable: published.slice(0, 1) },
        breakage('behind a destination NAT the port of the container counts'),
        impatient,
      ),
      /takes ports as the client asked for them/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);
