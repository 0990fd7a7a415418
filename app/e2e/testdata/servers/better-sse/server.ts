import { createChannel, createResponse } from "better-sse";

const ticker = createChannel();
ticker.on("session-disconnected", () => console.log("a listener left"));

Deno.serve({ port: 8080 }, async (request) => {
  const { pathname } = new URL(request.url);
  switch (pathname) {
    case "/events":
      return createResponse(request, (session) => {
        session.push(`hello, last was ${session.lastId || "nothing"}`, "hello", "1");
        ticker.register(session);
      });
    case "/tick":
      ticker.broadcast(await request.json(), "tick");
      return new Response(null, { status: 204 });
    case "/listeners":
      return Response.json(ticker.sessionCount);
  }
  return new Response("better-sse says hello");
});
