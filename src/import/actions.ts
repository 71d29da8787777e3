/**
 * What a fail2ban jail does with a source: which of its actions our firewall replaces, and which
 * are not carried over. Input: any tree. Claim LP-28.
 */
import { type Call, parseCall, splitCalls } from './options.ts';
import { type Tree, Unresolved } from './tree.ts';

export type ActionKind = 'firewall' | 'report' | 'remote' | 'unknown';

export interface ActionPlan {
  /** The name as written. */
  name: string;
  kind: ActionKind;
  options: Map<string, string>;
  /** Every port and protocol. */
  allPorts: boolean;
  /** What replaces an action that is not carried over. */
  instead?: string;
}

const journal = "the daemon's own records: `fail2zig-client watch`, or the journal's fields, which a mailer may read";
const byHand = 'nothing here: run it from what `fail2zig-client watch` prints';

const kinds: [names: RegExp, kind: ActionKind][] = [
  [
    /^(?:iptables|nftables|firewallcmd|ufw|shorewall|apf|pf|ipfw|bsd-ipfw|osx-|npf|ipfilter|route|hostsdeny)/,
    'firewall',
  ],
  [/^(?:mail|sendmail|complain|dshield|mynetwatchman|xarf|abuseipdb|blocklist_de|ipthreat|badips|helpers)/, 'report'],
  [/^(?:smtp\.py|smtp|apprise|symbiosis|nsupdate|dummy)/, 'report'],
  [/^(?:cloudflare|netscaler|nginx-block-map)/, 'remote'],
];

/** Commands of an unknown action that drop packets. */
const firewallWords =
  /\b(?:iptables|ip6tables|nft|ipset|firewall-cmd|ufw|pfctl|ipfw|ip route|route add|csf|shorewall)\b/;
const reportWords = /\b(?:mail|sendmail|curl|wget|logger|telegram|slack|notify)\b/;

/** The actions of one jail. */
export function readActions(tree: Tree, text: string): ActionPlan[] {
  return splitCalls(text).map((call) => {
    const parsed = parseCall(call);
    return typeof parsed === 'string' ? unreadable(call) : planOf(tree, parsed);
  });
}

function unreadable(name: string): ActionPlan {
  return { name, kind: 'unknown', options: new Map(), allPorts: false, instead: byHand };
}

function planOf(tree: Tree, { name, options }: Call): ActionPlan {
  const known = kinds.find(([names]) => names.test(name))?.[1];
  const kind = known ?? kindOfFile(tree, name);
  const plan: ActionPlan = { name, kind, options, allPorts: /allports|^route|^hostsdeny/.test(name) };
  if (kind === 'report') plan.instead = journal;
  if (kind === 'remote' || kind === 'unknown') plan.instead = byHand;
  return plan;
}

/** The kind of an action, from the commands in its own file. */
function kindOfFile(tree: Tree, name: string): ActionKind {
  if (!/^[^/\0]+$/.test(name) || name.startsWith('.')) return 'unknown';
  try {
    const ban = tree.read(`action.d/${name}`)?.raw('Definition', 'actionban')?.text ?? '';
    if (firewallWords.test(ban)) return 'firewall';
    return reportWords.test(ban) ? 'report' : 'unknown';
  } catch (error) {
    if (!(error instanceof Unresolved)) throw error;
    return 'unknown';
  }
}
