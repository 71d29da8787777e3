/**
 * The output of `fail2zig-client COMMAND --json`, as zod schemas: docs/client-output.schema.json is
 * generated from them (JSON Schema 2020-12), and a test checks real outputs with them.
 */
import { z } from 'zod';

const count = z.number().int().min(0);
const by = z.strictObject({ uid: count, pid: count });

const event = z.strictObject({
  number: count,
  at: z.number(),
  event: z.enum(['ban', 'restored', 'unban', 'expired', 'command', 'refused', 'lost', 'recovered', 'missing']),
  jail: z.string().optional(),
  addresses: z.array(z.string()).optional(),
  until: z.number().optional(),
  seconds: z.number().optional(),
  failures: count.optional(),
  pattern: z.string().optional(),
  file: z.string().optional(),
  offset: z.number().optional(),
  by: by.optional(),
  reason: z.string().optional(),
  command: z.string().optional(),
  count: count.optional(),
  bytes: count.optional(),
  torn: z.string().optional(),
  last: count.optional(),
  hash: z.string().optional(),
});

const memoryNow = z.strictObject({
  residentBytes: count,
  ceilingBytes: count,
  kernelBytes: z.number(),
  slots: count,
  slotsUsed: count,
});

const counted = z.array(z.strictObject({ name: z.string(), bans: count }));

const ignored = z.strictObject({
  ignored: z.array(z.strictObject({ address: z.string(), remainingSeconds: z.number().int().min(-1) })),
  lifted: z.array(z.strictObject({ address: z.string(), jail: z.string() })).optional(),
});

/** By command. New keys may be added; existing ones stay. */
export const outputs = {
  status: z.looseObject({
    version: z.string(),
    pid: count,
    uptimeSeconds: count,
    backend: z.string(),
    memory: memoryNow,
    problems: z.array(z.string()),
    hints: z.array(z.string()).optional(),
    lists: z.array(z.string()).optional(),
    jails: z.array(
      z.looseObject({
        jail: z.string(),
        filter: z.string(),
        bansActive: count,
        bansPending: count,
        bansTotal: count,
        packetsDropped: count,
        failuresTotal: count,
        sources: z.array(z.string()),
      }),
    ),
  }),
  jails: z.strictObject({
    jails: z.array(z.strictObject({ jail: z.string(), filter: z.string(), bansActive: count })),
  }),
  list: z.strictObject({
    bans: z.array(
      z.strictObject({
        jail: z.string(),
        address: z.string(),
        remainingSeconds: z.number().int().min(-1),
        start: z.number().optional(),
        failures: count.optional(),
        pattern: z.string().optional(),
        reason: z.string().optional(),
        by: by.optional(),
      }),
    ),
  }),
  ban: z.strictObject({
    jail: z.string(),
    addresses: z.array(z.string()),
    seconds: z.number().int().min(-1),
    refused: z.array(z.strictObject({ address: z.string(), code: z.string(), why: z.string() })),
  }),
  unban: z.strictObject({
    addresses: z
      .array(
        z.strictObject({
          address: z.string(),
          jails: z.array(z.string()),
          kernelOnly: z.array(z.string()).optional(),
          lists: z.array(z.string()).optional(),
        }),
      )
      .optional(),
  }),
  ignore: ignored,
  unignore: ignored,
  why: z.looseObject({
    address: z.string(),
    lists: z.array(z.string()).optional(),
    views: z.array(
      z.looseObject({
        jail: z.string(),
        address: z.string(),
        ignored: z.boolean(),
        ignoredBy: z.string().optional(),
        ignoredSeconds: z.number().int().min(-1).optional(),
        filter: z.string(),
        failures: z.array(z.tuple([z.number(), count])),
        until: z.number().optional(),
        kernel: z.boolean(),
        kernelSeconds: z.number().int().min(-1).optional(),
        maxretry: count,
        findtime: count,
        sources: z.array(z.string()),
      }),
    ),
    config: z.string(),
    events: z.array(event),
    commands: z.array(z.string()),
  }),
  history: z.strictObject({ events: z.array(event) }),
  watch: event,
  stats: z.record(z.string(), z.number()),
  set: z.strictObject({ level: z.enum(['error', 'warn', 'info', 'debug']) }),
  reload: z.strictObject({
    added: z.array(z.string()),
    changed: z.array(z.string()),
    removed: z.array(z.string()),
  }),
  version: z.strictObject({ version: z.string() }),
  doctor: z.strictObject({
    findings: z.array(
      z.strictObject({
        link: z.string(),
        state: z.enum(['ok', 'warning', 'bad', 'skipped']),
        says: z.string(),
        mend: z.string().optional(),
      }),
    ),
  }),
  report: z.strictObject({
    from: z.number(),
    until: z.number(),
    version: z.string(),
    bans: count,
    unbans: count,
    overTime: z.array(count),
    jails: counted,
    sources: counted,
    networks: counted,
    attempts: counted,
    problems: z.array(z.string()),
    memory: memoryNow,
    figures: z.record(z.string(), z.number()),
  }),
  /** Of every command that fails. */
  error: z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) }),
} as const;

/** The JSON Schema, one definition for each command. */
export function outputSchema(): string {
  const definitions = Object.fromEntries(
    Object.entries(outputs).map(([name, schema]) => {
      const { $schema: _, ...rest } = z.toJSONSchema(schema);
      return [name, rest];
    }),
  );
  const whole = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'What fail2zig-client COMMAND --json prints, by command',
    $defs: definitions,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
