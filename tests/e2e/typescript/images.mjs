// Images in a prompt and in a tool result.

import { OPUS, assistant, connect, given, report, said, user } from "./common.mjs";

const client = connect();
const { images } = given();
const block = (image) => ({ type: "image", source: { type: "base64", ...image } });
const results = { seen: {} };

for (const [name, image] of Object.entries(images)) {
  const message = await client.messages.create({
    model: OPUS,
    max_tokens: 300,
    messages: [user([block(image), { type: "text", text: "What is this?" }])],
  });
  results.seen[name] = said(message);
}

const call = { type: "tool_use", id: "toolu_01A", name: "look", input: {} };
const result = { type: "tool_result", tool_use_id: "toolu_01A", content: [block(images.PNG)] };
results.inResult = await client.messages.create({
  model: OPUS,
  max_tokens: 300,
  tools: [{ name: "look", input_schema: { type: "object" } }],
  messages: [user("Look!"), assistant([call]), user([result])],
});
report(results);
