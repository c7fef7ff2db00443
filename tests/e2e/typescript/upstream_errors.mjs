// What an upstream refuses, and streams that break, as the SDK throws them.

import { all, connect, failure, given, report, user } from "./common.mjs";

const { models, cuts } = given();
const client = connect();
const asked = (model) => ({ model, max_tokens: 9, messages: [user("Hi")] });
const results = { plain: {}, streamed: {} };

for (const model of models) {
  results.plain[model] = await failure(() => client.messages.create(asked(model)));
  results.streamed[model] = await failure(async () =>
    all(await client.messages.create({ ...asked(model), stream: true })),
  );
}
for (const model of cuts) {
  const texts = [];
  const error = await failure(() =>
    client.messages.stream(asked(model)).on("text", (text) => texts.push(text)).finalMessage(),
  );
  results[model] = { error, texts };
}
const patient = connect({ maxRetries: 2 });
results.retried = (await patient.messages.create(asked("busy-529-typescript"))).content[0].text;
report(results);
