// A service that knows nothing of tokens: it answers with the request it saw.
//
//   node backend.mjs PORT
import { createServer } from 'node:http'

createServer((request, response) => {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }))
}).listen(Number(process.argv[2]), '127.0.0.1')
