import { toJsonSchema } from '@valibot/to-json-schema';
import { expect, it } from 'vitest';
import { startLine } from '../../local/start-lines.ts';

it('has a JSON Schema in docs/ that is generated from the code; update it with `npx vitest -u`', async () => {
  const schema = {
    ...toJsonSchema(startLine, { target: 'draft-2020-12', errorMode: 'throw' }),
  };

  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
    '../../docs/json-output.schema.json',
  );
});
