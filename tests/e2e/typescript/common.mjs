// What the scripts share. Each prints one JSON object: what the SDK gave, for test_typescript_sdk.py to judge.

import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";

export const OPUS = "claude-opus-4-8";
export const HAIKU = "claude-haiku-4-5"; // takes a prefill
export const SONNET = "claude-sonnet-4-5"; // takes a thinking budget
export const PROMPT = "The quick brown fox jumps over the lazy dog.";

// A client of the server under test. It never tries a request twice, so that a fault is seen.
export function connect(options = {}) {
  return new Anthropic({
    baseURL: process.env.DRAGOMAN_URL,
    apiKey: process.env.DRAGOMAN_API_KEY,
    authToken: null,
    maxRetries: 0,
    timeout: 20_000,
    logLevel: "off",
    ...options,
  });
}

// What the test wrote to standard input.
export function given() {
  return JSON.parse(readFileSync(0, "utf8"));
}

export function report(results) {
  process.stdout.write(JSON.stringify(results));
}

export const user = (content) => ({ role: "user", content });
export const assistant = (content) => ({ role: "assistant", content });

export const said = (message) =>
  message.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");

export const calls = (message) => message.content.filter((block) => block.type === "tool_use");

export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

// What a call threw, as far as the SDK tells it.
export async function failure(work) {
  try {
    await work();
  } catch (error) {
    return {
      class: error.name,
      isAPIError: error instanceof Anthropic.APIError,
      status: error.status ?? null,
      type: error.type ?? null,
      requestID: error.requestID ?? null,
      bodyRequestID: error.error?.request_id ?? null,
      message: error.apiMessage ?? null,
      retryAfter: error.headers?.get?.("retry-after") ?? null,
    };
  }
  return null;
}
