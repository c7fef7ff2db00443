// Caching, citations, refusals, thinking that comes back, structured output, context management, threads.

import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { HAIKU, OPUS, assistant, connect, failure, given, report, user } from "./common.mjs";

const client = connect();
const { rules, hour, document, refusal } = given();
const text = (words, more = {}) => ({ type: "text", text: words, ...more });

const cached = (system, marker = {}) =>
  client.messages.create({
    model: OPUS,
    max_tokens: 50,
    system: [text(system, { cache_control: { type: "ephemeral", ...marker } })],
    messages: [user("What is rule one?")],
  });

async function caching() {
  return {
    wrote: (await cached(rules)).usage,
    read: (await cached(rules)).usage,
    missed: (await cached(`x${rules}`)).usage,
    wroteForAnHour: (await cached(hour, { ttl: "1h" })).usage,
    readForAnHour: (await cached(hour, { ttl: "1h" })).usage,
  };
}

async function citations() {
  const params = { model: OPUS, max_tokens: 500, messages: [user([document, text("What colour is the sky?")])] };
  const events = [];
  const stream = client.messages.stream(params).on("citation", (citation) => events.push(citation));
  return { message: await client.messages.create(params), streamed: await stream.finalMessage(), events };
}

async function thinking() {
  const params = { model: HAIKU, max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
  const first = await client.messages.create({ ...params, messages: [user("Hi")] });
  const back = [user("Hi"), assistant(first.content), user("And?")];
  const taken = await client.messages.create({ ...params, messages: back });
  const block = { ...first.content[0], signature: `Q${first.content[0].signature.slice(1)}` };
  const tampered = [user("Hi"), assistant([block, ...first.content.slice(1)]), user("And?")];
  return { taken, tampered: await failure(() => client.messages.create({ ...params, messages: tampered })) };
}

async function parsed() {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "integer" } },
    required: ["name", "age"],
    additionalProperties: false,
  };
  const message = await client.messages.create({
    model: OPUS,
    max_tokens: 500,
    messages: [user("Ada is 36 years old.")],
    output_config: { format: { type: "json_schema", schema } },
  });
  return JSON.parse(message.content[0].text);
}

async function cleared() {
  const turns = [user("Look")];
  for (let number = 0; number < 5; number += 1) {
    turns.push(assistant([{ type: "tool_use", id: `toolu_${number}`, name: "look", input: {} }]));
    turns.push(user([{ type: "tool_result", tool_use_id: `toolu_${number}`, content: "word ".repeat(100) }]));
  }
  return client.beta.messages.create({
    model: OPUS,
    max_tokens: 100,
    messages: turns,
    betas: ["context-management-2025-06-27"],
    context_management: {
      edits: [{ type: "clear_tool_uses_20250919", trigger: { type: "tool_uses", value: 3 } }],
    },
  });
}

// The runner, and what went over the wire: as this SDK does it by itself, and with threads.
async function runner(more = {}) {
  const sent = [];
  const noting = connect({
    fetch: (url, init) => {
      sent.push(JSON.parse(init.body));
      return fetch(url, init);
    },
  });
  const add = betaTool({
    name: "add",
    description: "Adds two numbers.",
    inputSchema: {
      type: "object",
      properties: { a: { type: "number" }, b: { type: "number" } },
      required: ["a", "b"],
      additionalProperties: false,
    },
    run: async ({ a, b }) => `sum ${a + b}`,
  });
  const last = await noting.beta.messages.toolRunner({
    model: OPUS,
    max_tokens: 500,
    tools: [add],
    messages: [user("Use add with 20 and 22")],
    ...more,
  });
  return { last, sent };
}

// A conversation by hand over a thread.
async function threaded() {
  const params = { model: OPUS, max_tokens: 200, betas: ["message-threads-2026-08-12"] };
  const first = await client.beta.messages.create({
    ...params,
    system: "Remember the word: heron.",
    messages: [user("Hello")],
    thread: { type: "create" },
  });
  const second = await client.beta.messages.create({
    ...params,
    messages: [user("Which word?")],
    thread: { type: "continue", previous_message_id: first.id },
  });
  const again = await failure(() =>
    client.beta.messages.create({
      ...params,
      messages: [user("And now?")],
      thread: { type: "continue", previous_message_id: first.id },
    }),
  );
  return { first, second, again };
}

report({
  caching: await caching(),
  citations: await citations(),
  refused: await client.messages.create({ model: OPUS, max_tokens: 50, messages: [user(refusal)] }),
  thinking: await thinking(),
  parsed: await parsed(),
  cleared: await cleared(),
  runner: await runner(),
  threaded: await threaded(),
});
