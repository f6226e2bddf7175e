// Somebody else's OpenID provider (oidc-provider, unmodified): client credentials, JWT access tokens (RFC 9068) for
// one resource (RFC 8707), a fresh key at every start.
//
//   node provider.mjs PORT CLIENT SECRET RESOURCE SCOPE
import { generateKeyPair, exportJWK } from 'jose'
import Provider from 'oidc-provider'

const [port, clientId, secret, resource, scope] = process.argv.slice(2)
const { privateKey } = await generateKeyPair('ES256', { extractable: true })
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: clientId,
    client_secret: secret,
    id_token_signed_response_alg: 'ES256',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: `peer-${port}` }] },
  scopes: [scope],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      getResourceServerInfo: () => ({
        scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
})
provider.listen(Number(port), '127.0.0.1')
