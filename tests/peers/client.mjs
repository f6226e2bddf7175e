// A client as an application would write it, with the certified library openid-client, unmodified.
//
//   node client.mjs '{"issuer", "backend", "scope"?, "resource"?, "clients": [{"id", "secretFile" | "jwkFile", "metadata"}]}'
//
// Each client discovers the issuer ("oidc": OpenID Connect discovery, "oauth2": RFC 8414), gets a token by client
// credentials and calls the backend with it, with a forged identity header. Prints one JSON array: what each got.
import { readFile } from 'node:fs/promises'
import * as openid from 'openid-client'

const task = JSON.parse(process.argv[2])

async function authentication(client) {
  if (client.secretFile) {
    return openid.ClientSecretBasic((await readFile(client.secretFile, 'utf8')).trim())
  }
  const jwk = JSON.parse(await readFile(client.jwkFile, 'utf8'))
  const algorithm = { EC: { name: 'ECDSA', namedCurve: jwk.crv }, OKP: { name: jwk.crv }, RSA: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } }
  const { kty, crv, x, y, d, n, e, p, q, dp, dq, qi } = jwk
  const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y, d, n, e, p, q, dp, dq, qi }, algorithm[kty], false, ['sign'])
  return openid.PrivateKeyJwt({ key, kid: jwk.kid })
}

async function call(token) {
  const answer = await fetch(task.backend, {
    headers: { authorization: `Bearer ${token}`, 'x-countersign-subject': 'forged', 'x-countersign-realm': 'forged' },
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.ok ? JSON.parse(text).headers : {} }
}

const results = []
for (const client of task.clients) {
  const config = await openid.discovery(new URL(task.issuer), client.id, undefined, await authentication(client), {
    algorithm: client.metadata,
    execute: [openid.allowInsecureRequests], // loopback without TLS
  })
  const parameters = {}
  if (task.scope) parameters.scope = task.scope
  if (task.resource) parameters.resource = task.resource
  const grant = await openid.clientCredentialsGrant(config, parameters)
  const called = await call(grant.access_token)
  results.push({ client: client.id, issuer: config.serverMetadata().issuer, token: grant.access_token, ...called })
}
console.log(JSON.stringify(results))
