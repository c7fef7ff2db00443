// The organization's resources: workspaces and their members, users, invites, keys, rate limits; page by page.

import { all, connect, failure, given, report } from "./common.mjs";

const { memberID, keyID, resource } = given();
const client = connect();
const organization = resource === "beta" ? client.beta.organization : client.organization;

const workspaces = [];
for (const name of ["one", "two", "three"]) {
  workspaces.push(await organization.workspaces.create({ name, tags: { number: name } }));
}
const [first] = workspaces;
const member = await organization.workspaces.members.add(first.id, {
  user_id: memberID,
  workspace_role: "workspace_developer",
});
const changedMember = await organization.workspaces.members.update(memberID, {
  workspace_id: first.id,
  workspace_role: "workspace_admin",
});
const members = await all(organization.workspaces.members.list(first.id));
const removedMember = await organization.workspaces.members.remove(memberID, { workspace_id: first.id });
const invite = await organization.invites.create({ email: "ts@example.com", role: "developer" });

report({
  organization: await organization.retrieve(),
  created: workspaces.map((each) => each.id),
  listed: (await all(organization.workspaces.list({ limit: 1 }))).map((each) => each.id),
  chosen: (await all(organization.workspaces.list({ ids: [first.id] }))).map((each) => each.name),
  updated: await organization.workspaces.update(first.id, { tags: { number: null, more: "1" } }),
  archived: await organization.workspaces.archive(workspaces[1].id),
  member,
  changedMember,
  members,
  removedMember,
  users: await all(organization.users.list({ roles: ["user", "admin"], limit: 1 })),
  user: await organization.users.update(memberID, { role: "billing" }),
  invite,
  invites: await all(organization.invites.list({ statuses: ["pending"] })),
  deletedInvite: await organization.invites.delete(invite.id),
  key: await organization.apiKeys.update(keyID, { name: "renamed", status: "inactive" }),
  keys: await all(organization.apiKeys.list({ limit: 1, status: "inactive" })),
  limits: await all(organization.rateLimits.list({ limit: 2 })),
  inherited: await all(organization.workspaces.rateLimits.list(first.id, { include_inherited: true })),
  missing: await failure(() => organization.workspaces.retrieve("wrkspc_none")),
  refused: await failure(() => organization.users.update(memberID, { role: "admin" })),
});
