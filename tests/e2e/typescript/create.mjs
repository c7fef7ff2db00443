// Whole replies: text, system, turns, prefill, what ends a reply, formats, headers, the older wire form.

import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { HAIKU, OPUS, PROMPT, assistant, connect, report, said, user } from "./common.mjs";

const client = connect();
const create = (more = {}) =>
  client.messages.create({ model: OPUS, max_tokens: 200, messages: [user(PROMPT)], ...more });

const first = await create();
const older = connect({
  apiKey: null,
  defaultHeaders: { "x-api-key": process.env.DRAGOMAN_API_KEY, "anthropic-version": "2023-06-01" },
});
const person = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { type: "integer" },
    kinds: { type: "array", items: { type: "string", enum: ["friend", "colleague"] } },
  },
  required: ["name", "age", "kinds"],
  additionalProperties: false,
};
const { data, response, request_id } = await create({ max_tokens: 9 }).withResponse();

report({
  text: first,
  textRequestID: first._request_id,
  alias: (await create({ model: HAIKU })).model,
  system: said(await create({ system: "Answer in French." })),
  turns: said(await create({ messages: [user(PROMPT), assistant(first.content), user("And now?")] })),
  prefill: said(await create({ model: HAIKU, messages: [user(PROMPT), assistant("My answer is")] })),
  stopSequence: await create({ stop_sequences: ["lazy", "jumps"] }),
  maxTokens: await create({ max_tokens: 5 }),
  parsed: (
    await client.messages.parse({
      model: OPUS,
      max_tokens: 1000,
      messages: [user("Ada Lovelace is 36 years old.")],
      output_config: { format: jsonSchemaOutputFormat(person) },
    })
  ).parsed_output,
  beta: said(
    await client.beta.messages.create({
      model: OPUS,
      max_tokens: 200,
      messages: [user(PROMPT)],
      betas: ["interleaved-thinking-2025-05-14"],
    }),
  ),
  older: said(
    await older.messages.create(
      { model: HAIKU, max_tokens: 200, messages: [user(PROMPT)], temperature: 0.2 },
      { query: { beta: "true" } },
    ),
  ),
  headers: {
    type: data.type,
    requestID: request_id,
    header: response.headers.get("request-id"),
    organization: response.headers.get("anthropic-organization-id"),
    contentType: response.headers.get("content-type"),
  },
});
