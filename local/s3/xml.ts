/** Escapes text for use between tags. Control characters become references, as in S3. */
function escapeXml(text: string): string {
  return text.replace(/[&<>"\p{Cc}]/gu, (character) => {
    switch (character) {
      case '&':
        return '&amp;';
      case '<':
        return '&lt;';
      case '>':
        return '&gt;';
      case '"':
        return '&quot;';
      default:
        return `&#x${character.charCodeAt(0).toString(16)};`;
    }
  });
}

/** Child elements by name, in order. `undefined` children are omitted. */
export type XmlChildren = readonly (readonly [name: string, content: XmlContent | undefined])[];
type XmlContent = string | number | boolean | XmlChildren;

function element(name: string, content: XmlContent, attributes = ''): string {
  const inner =
    typeof content === 'object'
      ? content.map(([child, value]) => (value === undefined ? '' : element(child, value))).join('')
      : escapeXml(String(content));
  return `<${name}${attributes}>${inner}</${name}>`;
}

/** Attribute of the root element of S3's results. */
export const s3Namespace = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export function xmlDocument(root: string, children: XmlChildren, attributes = ''): Buffer {
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${element(root, children, attributes)}`);
}

/**
 * Parses the body of a request: a root element whose children contain text without references.
 *
 * @returns the text of the children by name; undefined for any other document
 */
export function parseFlatXml(document: string, root: string): ReadonlyMap<string, string> | undefined {
  const trimmed = document.replace(/^\uFEFF?(<\?xml[^<>]*\?>)?/, '').trim();
  const tag = /^<([A-Za-z]+)(?: [^<>]*?)?(?:\/>|>([\s\S]*)<\/\1\s*>)$/.exec(trimmed);
  if (tag?.[1] !== root) return undefined;
  const children = new Map<string, string>();
  const rest = (tag[2] ?? '').replace(/<([A-Za-z]+)>([^<>&]*)<\/\1>/g, (_, name: string, text: string) => {
    // A name that occurs twice leaves a rest.
    if (children.has(name)) return name;
    children.set(name, text.trim());
    return '';
  });
  return rest.trim() === '' ? children : undefined;
}
