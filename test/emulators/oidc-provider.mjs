// An OpenID provider for tests, on a free port of the loopback interface. It takes one
// argument, the client's metadata as JSON, writes its issuer as a line to standard output
// once it answers, and ends with its standard input.
//
// Whoever signs in is who they say. Names and addresses are made from that.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [JSON.parse(process.argv[2])],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['for tests only'] },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'given_name', 'family_name', 'preferred_username', 'locale'],
    },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@idp.example`,
        email_verified: !id.startsWith('unverified'),
        name: `${id} of the provider`,
        given_name: id,
        family_name: 'Example',
        preferred_username: id,
        locale: 'en',
      }),
    }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});

process.stdin.on('end', () => process.exit(0)).resume();
