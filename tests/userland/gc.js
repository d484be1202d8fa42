// With --expose-gc, after a line: 4 full collections and 3 scavenges, besides those of its own.
console.log('ready');
require('fs').readSync(0, Buffer.alloc(1));
for (let i = 0; i < 4; i++) gc();
for (let i = 0; i < 3; i++) gc({type: 'minor'});
process.reallyExit(0);
