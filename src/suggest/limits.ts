/** The bounds of what `check --suggest` looks at: number, unit and reason of each. */

/** Longest settings file that is read, bytes: sshd_config has 4 KB. */
export const settingsFileBytesMax = 256 * 1024;
/** Include within Include: sshd itself allows sixteen. */
export const includeDepthMax = 16;
/** Files of sshd's configuration that are read. */
export const sshdFilesMax = 256;
/** Files of one log path that are looked at: one is enough to know that the service writes. */
export const logFilesMax = 64;
/** Ports for the metrics page that are tried: the first is the usual one. */
export const metricsPorts = [9100, ...Array.from({ length: 100 }, (_, at) => 19_100 + at)];
