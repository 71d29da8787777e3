/**
 * The version of this package, from its only home. Bundled as a constant; the rest of package.json
 * is not looked at.
 */
import packageJson from '../package.json' with { type: 'json' };

export const version: string = packageJson.version;
