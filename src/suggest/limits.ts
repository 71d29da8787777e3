/**
 * The bounds of `check --suggest`, each with its unit and reason.
 */

/** Longest configuration file that is read, bytes: sshd_config has 4 KB. */
export const settingsFileBytesMax = 256 * 1024;
/** Nested Include directives: sshd itself allows sixteen. */
export const includeDepthMax = 16;
/** Configuration files of sshd that are read. */
export const sshdFilesMax = 256;
/** Files of one log path that are checked: one is enough to know that the service writes. */
export const logFilesMax = 64;
/** Ports to try for the metrics page: the usual one first. */
export const metricsPorts = [9100, ...Array.from({ length: 100 }, (_, at) => 19_100 + at)];
