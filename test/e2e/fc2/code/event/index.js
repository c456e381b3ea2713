// An event function: what it does stands in the event.
const fs = require('fs');
const { greet } = require('./lib/greet');

exports.handler = (event, context, callback) => {
  let e;
  try {
    e = JSON.parse(event.toString());
  } catch {
    return callback(null, event); // back as it came
  }
  if (e.log) console.log(e.log);
  if (e.fail) return callback(new Error(e.fail));
  if (e.write) fs.writeFileSync(e.write, 'written by ' + context.requestId);
  callback(null, JSON.stringify({
    greeting: greet(e.who),
    mood: process.env.MOOD,
    service: context.service.name,
    qualifier: context.service.qualifier,
    version: context.service.versionId,
    function: context.function.name,
    requestId: context.requestId,
  }));
};
