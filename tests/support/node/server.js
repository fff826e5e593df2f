// An upstream of Node's: pages, echoes, a WebSocket, and an exchange in the shape of gRPC.
// Says "port N" when it listens, and "h2c N" for HTTP/2 without TLS; then what it was told at
// /report.
'use strict';
const crypto = require('crypto');
const http = require('http');
const http2 = require('http2');

// A page that tries what a browser can do, and reports.
const page = `<!doctype html><title>a page</title><script>
const report = (text) => fetch('/report', {method: 'POST', body: text});
const by = performance.getEntriesByType('navigation')[0].nextHopProtocol;
(async () => {
  const body = 'x'.repeat(300000);
  const echo = await (await fetch('/echo', {method: 'POST', body})).text();
  const many = await Promise.all([...Array(50).keys()].map(
      async (i) => (await fetch('/page?' + i)).text()));
  const socket = new WebSocket('wss://' + location.host + '/socket');
  socket.binaryType = 'arraybuffer';
  const got = [];
  socket.onopen = () => { socket.send('hello'); socket.send(new Uint8Array(100000)); };
  socket.onerror = () => report('socket failed');
  socket.onmessage = (event) => {
    got.push(event.data.byteLength || event.data);
    if (got.length == 3) socket.close(1000);
  };
  socket.onclose = (event) => report(['page by ' + by, 'echo ' + (echo === body),
      'many ' + many.every((text, i) => text === 'page /page?' + i),
      'socket ' + got.join(' '), 'closed ' + event.code].join(', '));
})().catch((e) => report('failed: ' + e));
</script>`;

const serve = (request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/browser') {
    response.setHeader('content-type', 'text/html');
    response.end(page);
  } else if (path === '/echo') {
    request.pipe(response);
  } else if (path === '/report') {
    let text = '';
    request.on('data', (piece) => text += piece);
    request.on('end', () => { console.log('report ' + text); response.end(); });
  } else if (path === '/test.Echo/Each') {
    if (request.headers.te !== 'trailers') return response.writeHead(400).end('no te');
    response.writeHead(200, {'content-type': 'application/grpc', 'trailer': 'grpc-status'});
    response.flushHeaders();
    let bytes = 0;
    request.on('data', (piece) => { bytes += piece.length; response.write(piece); });
    request.on('end', () => {
      response.addTrailers({'grpc-status': '0', 'grpc-message': bytes + ' bytes'});
      response.end();
    });
  } else {
    response.end('page ' + request.url);
  }
};
const server = http.createServer(serve);
const server2 = http2.createServer(serve);

// Frames of a client are sent back unmasked as they come (RFC 6455, 5.2); a close is answered.
server.on('upgrade', (request, socket) => {
  const accept = crypto.createHash('sha1')
      .update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
      .digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Accept: ' + accept + '\r\n\r\n');
  const say = (op, data) => {
    const head = data.length < 126 ? Buffer.from([0x80 | op, data.length]) : Buffer.alloc(10);
    if (data.length >= 126) {
      head[0] = 0x80 | op;
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(data.length), 2);
    }
    socket.write(Buffer.concat([head, data]));
  };
  say(1, Buffer.from('via ' + request.headers.via));
  let waiting = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (piece) => {
    waiting = Buffer.concat([waiting, piece]);
    for (;;) {
      if (waiting.length < 2) return;
      let size = waiting[1] & 127, at = 2;
      if (size === 126) { size = waiting.length < 4 ? Infinity : waiting.readUInt16BE(2); at = 4; }
      if (size === 127) {
        size = waiting.length < 10 ? Infinity : Number(waiting.readBigUInt64BE(2));
        at = 10;
      }
      if (waiting.length < at + 4 + size) return;
      const mask = waiting.subarray(at, at + 4);
      const data = Buffer.from(waiting.subarray(at + 4, at + 4 + size));
      for (let i = 0; i < size; ++i) data[i] ^= mask[i & 3];
      const op = waiting[0] & 15;
      waiting = waiting.subarray(at + 4 + size);
      say(op, data);
      if (op === 8) return socket.end();
    }
  });
});

server2.listen(0, '127.0.0.1', () => {
  console.log('h2c ' + server2.address().port);
  server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
});
