/** The keys and values of an object, or what {@link members} finds in it: a key before each value. */
export function pairs(list: readonly string[]): [key: string, json: string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) found.push([JSON.parse(list[i] ?? '') as string, list[i + 1] ?? '']);
  return found;
}

/**
 * The texts inside an array, or the keys and values inside an object, as they stand in JSON that is known to be valid:
 * so that numbers keep their digits, and what cannot be read is written back unchanged.
 */
export function members(json: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = 0;
  const take = (to: number): void => {
    const member = json.slice(from, to).trim();
    if (member !== '') found.push(member);
    from = to + 1;
  };
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case '"':
        at = endOfString(json, at);
        break;
      case '[':
      case '{':
        if (++depth === 1) from = at + 1;
        break;
      case ']':
      case '}':
        if (--depth === 0) take(at);
        break;
      case ',':
      case ':':
        if (depth === 1) take(at);
    }
  }
  return found;
}

/** Where a string that begins at `start` ends; the length of the text where it does not. */
export function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}
