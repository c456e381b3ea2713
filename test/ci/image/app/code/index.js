const greeting = require('greeting');

exports.handler = (event, context, callback) => callback(null, greeting(JSON.parse(event).who));
