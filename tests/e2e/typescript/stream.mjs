// Streams: raw events, the helper's events, thinking, limits, and one that is left early.

import { OPUS, PROMPT, SONNET, all, connect, report, said, user } from "./common.mjs";

const client = connect();
const asked = { model: OPUS, max_tokens: 200, messages: [user(PROMPT)] };

async function helped(params) {
  const seen = { texts: [], thinking: [], signatures: [], blocks: 0, messages: 0 };
  const stream = client.messages
    .stream(params)
    .on("text", (text) => seen.texts.push(text))
    .on("thinking", (text) => seen.thinking.push(text))
    .on("signature", (signature) => seen.signatures.push(signature))
    .on("contentBlock", () => (seen.blocks += 1))
    .on("message", () => (seen.messages += 1));
  const message = await stream.finalMessage();
  const whole = await client.messages.create(params);
  return { ...seen, message, whole, finalText: await stream.finalText(), requestID: stream.request_id };
}

async function leftEarly() {
  const stream = client.messages.stream({ ...asked, max_tokens: 4000, messages: [user(PROMPT.repeat(50))] });
  let events = 0;
  for await (const _ of stream) {
    events += 1;
    break;
  }
  const after = await client.messages.create({ ...asked, max_tokens: 9 });
  return { events, after: said(after) };
}

report({
  raw: await all(await client.messages.create({ ...asked, stream: true })),
  text: await helped(asked),
  stopSequence: await helped({ ...asked, stop_sequences: ["fox"] }),
  maxTokens: await helped({ ...asked, max_tokens: 7 }),
  thinking: {
    adaptive: await helped({ ...asked, max_tokens: 2000, thinking: { type: "adaptive", display: "summarized" } }),
    unseen: await helped({ ...asked, max_tokens: 2000, thinking: { type: "adaptive" } }),
    budget: await helped({
      ...asked,
      model: SONNET,
      max_tokens: 2000,
      thinking: { type: "enabled", budget_tokens: 1024 },
    }),
  },
  leftEarly: await leftEarly(),
});
