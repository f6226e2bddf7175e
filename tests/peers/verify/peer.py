"""Python libraries on the corpus: `python peer.py LIBRARY FOLDER`. One line about itself, then one answer a case."""

import base64
import importlib.metadata
import json
import pathlib
import platform
import sys
import warnings

REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"]
DEFAULTS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


class Pyjwt:
    """jwt.decode with the one key that `kid` names; its algorithm is the key's."""

    distribution = "PyJWT"

    def __init__(self):
        import jwt

        self.jwt = jwt
        self.verifier = jwt.PyJWT(options={"enforce_minimum_key_length": True})

    def load(self, jwks):
        # A key that cannot be read is left out, as the library does; an empty set is an error.
        return self.jwt.PyJWKSet.from_dict(jwks)

    def issuer_of(self, token):
        return self.jwt.decode(token, options={"verify_signature": False})["iss"]

    def verify(self, token, keys, algorithms, issuer, audience, at, leeway):
        key = keys[self.jwt.get_unverified_header(token)["kid"]]
        if key.public_key_use not in (None, "sig"):
            raise ValueError("not a signing key")
        assert key.algorithm_name in algorithms
        self.verifier.decode(
            token,
            key=key,
            algorithms=[key.algorithm_name],
            issuer=issuer,
            audience=audience,
            leeway=leeway,
            options={"require": REQUIRED},
        )


class Joserfc:
    """jwt.decode with the issuer's key set, then a claims registry."""

    distribution = "joserfc"

    def __init__(self):
        from joserfc import jwk, jws, jwt

        self.jwk, self.jws, self.jwt = jwk, jws, jwt

    def load(self, jwks):
        keys = []
        for key in jwks["keys"]:
            try:
                keys.append(self.jwk.import_key(key))
            except Exception:
                pass  # A bad key takes no good one with it.
        return self.jwk.KeySet(keys)

    def issuer_of(self, token):
        return json.loads(self.jws.extract_compact(token.encode()).payload)["iss"]

    def verify(self, token, keys, algorithms, issuer, audience, at, leeway):
        decoded = self.jwt.decode(token, keys, algorithms=algorithms)
        essential = {name: {"essential": True} for name in REQUIRED}
        essential["iss"]["value"] = issuer
        essential["aud"]["value"] = audience
        self.jwt.JWTClaimsRegistry(now=at, leeway=leeway, **essential).validate(decoded.claims)


class Authlib:
    """JsonWebToken.decode with the issuer's key set and the claims class for RFC 9068."""

    distribution = "Authlib"

    def __init__(self):
        from authlib.jose import JsonWebKey, JsonWebToken
        from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims

        self.JsonWebKey, self.JsonWebToken, self.claims = JsonWebKey, JsonWebToken, JWTAccessTokenClaims

    def load(self, jwks):
        keys = []
        for key in jwks["keys"]:
            try:
                keys.append(self.JsonWebKey.import_key(key))
            except Exception:
                pass
        return type(self.JsonWebKey.import_key_set({"keys": []}))(keys)

    def issuer_of(self, token):
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]

    def verify(self, token, keys, algorithms, issuer, audience, at, leeway):
        options = {name: {"essential": True} for name in REQUIRED}
        options["iss"]["value"] = issuer
        options["aud"]["value"] = audience
        decoder = self.JsonWebToken(algorithms)
        claims = decoder.decode(token, keys, claims_cls=self.claims, claims_options=options)
        claims.validate(now=at, leeway=leeway)


LIBRARIES = {"pyjwt": Pyjwt, "joserfc": Joserfc, "authlib": Authlib}


def load(library, folder, policy):
    """One entry for each `iss` there may be, with its own keys."""
    issuers = {}
    for issuer in policy["issuers"]:
        jwks = json.loads((folder / issuer["jwks_file"]).read_text())
        algorithms = {key.get("alg") or DEFAULTS.get(key["kty"]) for key in jwks["keys"]}
        algorithms = sorted(alg for alg in algorithms if alg and not alg.startswith("HS"))
        name = issuer["issuer"]
        names = [name.replace("{tenantid}", tenant) for tenant in issuer["tenants"]] if "{tenantid}" in name else [name]
        try:
            keys = library.load(jwks)
        except Exception:
            continue  # A set of which the library knows no key: nothing of that issuer is let in.
        for name in names:
            issuers[name] = (issuer["realm"], algorithms, keys)
    return issuers


def judge(library, issuers, policy, case):
    resource = next(it for it in policy["resources"] if it["name"] == case["resource"])
    iss = library.issuer_of(case["token"])
    realm, algorithms, keys = issuers[iss]
    if realm != resource["realm"]:
        raise ValueError("issuer not trusted for this resource")
    library.verify(
        case["token"], keys, algorithms, iss, resource["audience"], case["at"], policy["clock_skew_seconds"]
    )


def say(line):
    print(json.dumps(line))


def main():
    warnings.simplefilter("ignore")
    library = LIBRARIES[sys.argv[1]]()
    folder = pathlib.Path(sys.argv[2])
    cases = sys.argv[3] if len(sys.argv) > 3 else "cases.ndjson"
    policy = json.loads((folder / "policy.json").read_text())
    issuers = load(library, folder, policy)
    version = importlib.metadata.version(library.distribution)
    say({"peer": library.distribution, "version": version, "runtime": f"Python {platform.python_version()}"})
    for line in (folder / cases).read_text().splitlines():
        case = json.loads(line)
        try:
            judge(library, issuers, policy, case)
            say({"id": case["id"], "answer": "admit"})
        except Exception as error:  # Whatever is raised, the token is not let in.
            say({"id": case["id"], "answer": "refuse", "detail": type(error).__name__})


main()
