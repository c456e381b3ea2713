const Koa = require('koa');

const app = new Koa();
app.use(async (ctx) => {
  ctx.body = 'hello from Koa v1';
});
app.listen(process.env.FC_SERVER_PORT || 9000);
