/**
 * HTML as text, escaped by construction: values in a template are escaped, unless a template of
 * this file made them. Text of claims and of log lines goes through here.
 */

/** Text that is markup already. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = Markup | string | number | readonly Value[];

/** Characters that XML does not allow are shown as a replacement character. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

function render(value: Value): string {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  return escaped(String(value));
}

/** A template whose values are escaped. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Markup {
  return new Markup(parts.map((part, index) => part + (index < values.length ? render(values[index]!) : '')).join(''));
}

/** A sentence in which text between backticks is code. */
export function sentence(text: string): Markup {
  return html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

/**
 * What is wrong with a page as XML, and what in it would run or load something: scripts, event
 * attributes, and references that leave the page or the tree beside it. Empty for a valid page.
 */
export function faultsOf(page: string): string[] {
  const faults: string[] = [];
  const open: string[] = [];
  const ids = new Set<string>();
  const targets: string[] = [];
  const body = page.replace(/^<!doctype html>/i, '').replaceAll(/<style>[\s\S]*?<\/style>/g, (style) => {
    if (/url\(|@import|</.test(style.slice(7, -8))) faults.push('a style refers to something outside');
    return '';
  });
  const tag = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*="[^"<]*")*)\s*(\/?)>/g;
  const rest = body.replaceAll(tag, (_, end: string, name: string, attributes: string, single: string) => {
    if (['script', 'iframe', 'object', 'embed', 'link', 'img', 'base', 'form'].includes(name.toLowerCase()))
      faults.push(`<${name}> is not allowed`);
    for (const [, key = '', value = ''] of attributes.matchAll(/([a-zA-Z:-]+)="([^"]*)"/g)) {
      if (key.startsWith('on')) faults.push(`an event attribute ${key}`);
      if (key === 'id') ids.has(value) ? faults.push(`the id ${value} occurs twice`) : ids.add(value);
      if (!['href', 'src', 'xlink:href'].includes(key)) continue;
      if (/^[a-z]+:|^\/\//i.test(value)) faults.push(`a reference to ${value}`);
      if (value.startsWith('#')) targets.push(value.slice(1));
    }
    if (end === '/') {
      const expected = open.pop();
      if (expected !== name) faults.push(`</${name}> closes <${expected}>`);
    } else if (single !== '/' && !['meta', 'br', 'hr'].includes(name)) open.push(name);
    return '';
  });
  if (open.length > 0) faults.push(`not closed: ${open.join(', ')}`);
  if (/[<>]/.test(rest)) faults.push(`a stray bracket: ${/.{0,30}[<>].{0,30}/.exec(rest)?.[0]}`);
  if (/&(?!(amp|lt|gt|quot);)/.test(body)) faults.push('a stray ampersand');
  for (const target of targets) if (!ids.has(target)) faults.push(`#${target} leads nowhere`);
  return faults;
}
