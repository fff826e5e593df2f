// A client of Node's over HTTP/2: node client.js PORT ROOTS WHAT. Ends with 0 and says what it got.
'use strict';
const fs = require('fs');
const http2 = require('http2');

const [port, roots, what] = process.argv.slice(2);
const session = http2.connect('https://a.test:' + port, {
  ca: fs.readFileSync(roots),
  lookup: (name, options, done) =>
      options.all ? done(null, [{address: '127.0.0.1', family: 4}]) : done(null, '127.0.0.1', 4),
});
const fail = (why) => { console.log('failed: ' + why); process.exit(1); };
session.on('error', fail);
setTimeout(() => fail('too slow'), 30000).unref();

// Each message is sent when the one before has come back: both directions are open all the time.
function grpc() {
  const stream = session.request({
    ':method': 'POST', ':path': '/test.Echo/Each', 'content-type': 'application/grpc',
    'te': 'trailers'});
  const message = (size) => {
    const bytes = Buffer.alloc(5 + size, 'm');
    bytes[0] = 0;
    bytes.writeUInt32BE(size, 1);
    return bytes;
  };
  const sizes = [10, 100000, 0, 1];
  let got = 0, sent = 0, head;
  const next = () => {
    const bytes = message(sizes.shift());
    sent += bytes.length;
    stream.write(bytes);
  };
  stream.on('response', (headers) => head = headers);
  stream.on('data', (piece) => {
    got += piece.length;
    if (got < sent) return;
    if (sizes.length) next(); else stream.end();
  });
  stream.on('error', fail);
  stream.on('trailers', (trailers) => {
    console.log(`status ${head[':status']} ${head['content-type']}, ${got} bytes, ` +
        `grpc-status ${trailers['grpc-status']}, ${trailers['grpc-message']}`);
    session.close();
  });
  next();
}

// RFC 8441.
function socket() {
  session.once('remoteSettings', (settings) => {
    if (!settings.enableConnectProtocol) fail('no extended CONNECT');
    const stream = session.request({
      ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/socket',
      'sec-websocket-version': '13'}, {endStream: false});
    let head, got = Buffer.alloc(0);
    stream.on('response', (headers) => {
      head = headers;
      stream.write(Buffer.from([0x81, 0x83, 0, 0, 0, 0, 0x61, 0x62, 0x63]));  // "abc"
      stream.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    });
    stream.on('data', (piece) => got = Buffer.concat([got, piece]));
    stream.on('error', fail);
    stream.on('end', () => {
      console.log('status ' + head[':status'] + ' ' + got.toString('latin1').replace(
          /[^ -~]/g, '.'));
      stream.end();
      session.close();
    });
  });
}

({grpc, socket})[what]();
