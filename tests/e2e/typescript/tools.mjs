// Tools: calls, choices, streamed inputs, a loop by hand, and the SDK's own runner.

import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { OPUS, all, assistant, calls, connect, report, said, user } from "./common.mjs";

const client = connect();
const weather = {
  name: "get_weather",
  description: "Get the current weather of a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const clock = {
  name: "get_time",
  description: "Get the time of day in a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ONE = "What is the weather in Tokyo?";
const TWO = "What is the weather in Tokyo and what time is it in Paris?";

const params = (prompt, more = {}) => ({
  model: OPUS,
  max_tokens: 1000,
  messages: [user(prompt)],
  tools: [weather, clock],
  ...more,
});
const ask = (prompt, more) => client.messages.create(params(prompt, more));

async function streamed() {
  const fragments = [];
  const stream = client.messages.stream(params(TWO)).on("inputJson", (part) => fragments.push(part));
  const message = await stream.finalMessage();
  return { fragments: fragments.length, message };
}

async function loop() {
  const messages = [user(TWO)];
  for (let turn = 1; turn < 6; turn += 1) {
    const message = await ask("", { messages });
    if (message.stop_reason !== "tool_use") return { turns: turn, message };
    messages.push(assistant(message.content));
    messages.push(
      user(
        calls(message).map((call) => ({
          type: "tool_result",
          tool_use_id: call.id,
          content: `${call.name} in ${call.input.city}: 18`,
        })),
      ),
    );
  }
  throw new Error("the loop did not end");
}

async function run(more) {
  const sent = [];
  const noting = connect({
    fetch: (url, init) => {
      sent.push(JSON.parse(init.body));
      return fetch(url, init);
    },
  });
  const runner = noting.beta.messages.toolRunner({
    ...params(ONE),
    tools: [
      betaTool({
        name: weather.name,
        description: weather.description,
        inputSchema: weather.input_schema,
        run: ({ city }) => `It is 18 degrees in ${city}.`,
      }),
    ],
    ...more,
  });
  const messages = [];
  for await (const item of runner) messages.push(more.stream ? await item.finalMessage() : item);
  return {
    stopReasons: messages.map((message) => message.stop_reason),
    text: said(messages.at(-1)),
    threads: sent.map((body) => "thread" in body),
  };
}

report({
  one: await ask(ONE),
  none: await ask("Hello, Claude"),
  forbidden: await ask(ONE, { tool_choice: { type: "none" } }),
  forced: await ask("Hello, Claude", { tool_choice: { type: "tool", name: "get_time" } }),
  any: await ask("Hello, Claude", { tool_choice: { type: "any" } }),
  two: await ask(TWO),
  single: await ask(TWO, { tool_choice: { type: "auto", disable_parallel_tool_use: true } }),
  streamed: await streamed(),
  raw: await all(await client.messages.create(params(ONE, { stream: true }))),
  loop: await loop(),
  runner: await run({}),
  runnerUnthreaded: await run({ thread: false }),
  runnerStreaming: await run({ stream: true }),
});
