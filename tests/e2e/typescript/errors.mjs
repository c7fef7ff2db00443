// What the server refuses by itself, as the SDK throws it.

import { HAIKU, OPUS, connect, failure, report, user } from "./common.mjs";

const client = connect();
const ask = (more = {}, by = client, options = {}) =>
  failure(() => by.messages.create({ model: OPUS, max_tokens: 9, messages: [user("Hi")], ...more }, options));
const huge = "x".repeat(32 * 1024 * 1024);

report({
  badRequest: await ask({ messages: [{ role: "robot", content: "Hi" }] }),
  badStream: await ask({ messages: [{ role: "robot", content: "Hi" }], stream: true }),
  badHelper: await failure(() =>
    client.messages.stream({ model: OPUS, max_tokens: 200_000, messages: [user("Hi")] }).finalMessage(),
  ),
  temperature: await ask({ temperature: 0.5 }, client, { headers: { "anthropic-version": "2023-06-01" } }),
  temperatureInNewerVersion: await ask({ model: HAIKU, temperature: 0.5 }),
  wrongBearer: await ask({}, connect({ apiKey: "sk-wrong" })),
  wrongKey: await ask({}, connect({ apiKey: null, defaultHeaders: { "x-api-key": "sk-wrong" } })),
  unknownModel: await ask({ model: "sonnet4" }),
  unknownModelInfo: await failure(() => client.models.retrieve("sonnet4")),
  unknownPath: await failure(() => client.post("/v1/nothing", { body: {} })),
  wrongMethod: await failure(() => client.get("/v1/messages")),
  tooLarge: await ask({ messages: [user(huge)] }),
  afterwards: await ask(),
});
