// An HTTP function: it tells what reached it.
const read = (request) => new Promise((resolve, reject) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => resolve(Buffer.concat(chunks).toString()));
  request.on('error', reject);
});

exports.handler = async (request, response) => {
  const body = await read(request);
  response.setStatusCode(Number(request.queries.status || 200));
  response.setHeader('content-type', 'text/plain');
  response.setHeader('x-seen', request.headers['x-sent'] || 'nothing');
  response.send(JSON.stringify({ method: request.method, path: request.path, queries: request.queries, body }));
};
