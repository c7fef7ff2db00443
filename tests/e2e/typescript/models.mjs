// The model list, page by page in both directions, and single models.

import { HAIKU, OPUS, all, connect, report } from "./common.mjs";

const client = connect();
const ids = (models) => models.map((model) => model.id);

const whole = await client.models.list({ limit: 1000 });
let page = await client.models.list({ before_id: whole.data[7].id, limit: 3 });
const backwards = [ids(page.data)];
while (page.hasNextPage()) {
  page = await page.getNextPage();
  backwards.push(ids(page.data));
}

report({
  whole: ids(whole.data),
  hasMore: whole.has_more,
  paged: ids(await all(client.models.list({ limit: 3 }))),
  backwards,
  retired: await all(client.models.list({ lifecycle: ["retired"], limit: 2 })),
  opus: await client.models.retrieve(OPUS),
  alias: (await client.models.retrieve(HAIKU)).id,
});
