exports.greet = (who) => 'hello ' + (who || 'nobody');
