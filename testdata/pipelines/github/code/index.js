exports.handler = (event, context, callback) => {
  callback(null, 'hello from the workflow');
};
