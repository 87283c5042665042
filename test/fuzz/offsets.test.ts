import { InvalidOffsetError, Offset } from '../../src/index.ts';
import { failureOf, fuzz } from './fuzz.ts';

fuzz('Offset.parse reads what Offset.format writes, and nothing else', async (random) => {
  const text = Offset.format(random.offset());
  if (!Offset.equals(Offset.parse(text), Offset.parse(text)) || Offset.format(Offset.parse(text)) !== text) {
    throw new Error(`${text} is read as something else`);
  }
  const damaged = random.damaged(text);
  let found: Offset | undefined;
  const error = await failureOf(() => (found = Offset.parse(damaged)));
  if (error ? !(error instanceof InvalidOffsetError) : !found || Offset.format(found) !== damaged) {
    throw new Error(`${JSON.stringify(damaged)} is read as ${found && Offset.format(found)}: ${error}`);
  }
});

fuzz('Offset.sequence, timestamp and custom take what they keep', async (random) => {
  const value = random.chance(0.5) ? random.damaged('18446744073709551615') : random.anything();
  for (const make of [Offset.sequence, Offset.timestamp, Offset.custom] as ((value: unknown) => Offset)[]) {
    let found: Offset | undefined;
    const error = await failureOf(() => (found = make(value)));
    if (
      error
        ? !(error instanceof InvalidOffsetError)
        : !found || !Offset.equals(Offset.parse(Offset.format(found)), found)
    ) {
      throw new Error(`${String(value)} is made ${found && Offset.format(found)}: ${error}`);
    }
  }
});
