// The same requests counted, answered, and streamed.

import { OPUS, all, connect, given, report } from "./common.mjs";

const client = connect();
const results = {};
for (const [name, asked] of Object.entries(given().requests)) {
  const events = await all(await client.messages.create({ model: OPUS, max_tokens: 50, ...asked, stream: true }));
  results[name] = [
    (await client.messages.countTokens({ model: OPUS, ...asked })).input_tokens,
    (await client.beta.messages.countTokens({ model: OPUS, ...asked })).input_tokens,
    (await client.messages.create({ model: OPUS, max_tokens: 50, ...asked })).usage.input_tokens,
    events[0].message.usage.input_tokens,
    events.at(-2).usage.input_tokens,
  ];
}
report(results);
