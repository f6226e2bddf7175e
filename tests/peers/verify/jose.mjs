// npm jose on the corpus: `node jose.mjs FOLDER`. One line about itself, then one answer a case.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose";

const folder = process.argv[2];
const read = (name) => readFileSync(resolve(folder, name), "utf8");
const policy = JSON.parse(read("policy.json"));
const { version } = JSON.parse(readFileSync(new URL("./node_modules/jose/package.json", import.meta.url), "utf8"));
const defaults = { RSA: "RS256", EC: "ES256", OKP: "EdDSA" };

// One entry for each `iss` there may be, with its own keys.
const issuers = new Map();
for (const { issuer, realm, jwks_file, tenants } of policy.issuers) {
  const jwks = JSON.parse(read(jwks_file));
  // Asymmetric only, as the documentation of key sets has it.
  const algorithms = [...new Set(jwks.keys.map((key) => key.alg ?? defaults[key.kty]))].filter((alg) => alg && !alg.startsWith("HS"));
  const names = issuer.includes("{tenantid}") ? tenants.map((tenant) => issuer.replace("{tenantid}", tenant)) : [issuer];
  for (const name of names) issuers.set(name, { realm, algorithms, keys: createLocalJWKSet(jwks) });
}

async function verify({ token, at, resource: name }) {
  const resource = policy.resources.find((it) => it.name === name);
  const { iss } = decodeJwt(token);
  const issuer = typeof iss === "string" ? issuers.get(iss) : undefined;
  if (issuer?.realm !== resource.realm) throw new Error("issuer not trusted for this resource");
  await jwtVerify(token, issuer.keys, {
    algorithms: issuer.algorithms,
    issuer: iss,
    audience: resource.audience,
    typ: "at+jwt",
    requiredClaims: ["exp", "iat", "sub", "jti", "client_id"],
    maxTokenAge: policy.lifetime_max_seconds,
    clockTolerance: policy.clock_skew_seconds,
    currentDate: new Date(at * 1000),
  });
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ peer: "jose", version, runtime: `Node.js ${process.version.slice(1)}` });
for (const line of read(process.argv[3] ?? "cases.ndjson").trimEnd().split("\n")) {
  const item = JSON.parse(line);
  try {
    await verify(item);
    say({ id: item.id, answer: "admit" });
  } catch (error) {
    say({ id: item.id, answer: "refuse", detail: String(error.code ?? error.message) });
  }
}
