/**
 * The lab in English, which has every text there is. `{name}` stands for a value.
 *
 * @module
 */

export const en = {
  "unknown": "not known here",
  "prompt": ">>: {command}",
  "recv": "recv({asked}) → {got} bytes {bytes}",
  "receive": "receive({asked}) → {got} bytes",
  "receive.bytes": "receive({asked}) → {got} bytes {bytes}",
  "answer": "answer → {got} bytes {bytes}",
  "message": "message → {got} bytes {bytes}",
  "message.empty": "message → {got} bytes",
  "error": "error: {message}",

  "verdict.observed": "Observed: {finding}",
  "verdict.not_observed": "Not observed this time: {finding}",
  "verdict.cured": "Cured: {cure}",
  "verdict.not_cured": "Not cured: {cure}",

  "list.title": "Experiments on real sockets",
  "list.how": `limpet lab NAME runs one of them, limpet lab all runs them all;
    --lang zh tells it in Chinese.`,
  "summary.title": "Summary",
  "summary.lab": "experiment",
  "summary.observed": "observed",
  "summary.cured": "cured",
  "summary.number": "measured",
  "summary.yes": "✓ yes",
  "summary.no": "✗ no",

  "sticky.about":
    "the rest of one answer becomes the answer to the next command",
  "sticky.title": "Sticky packets",
  "sticky.intro": `The naive server runs what it gets in a shell and sends back
    what that prints. The naive client sends a command and calls recv(1024)
    once. First "{first}", a long answer; then "{second}".`,
  "sticky.left": "left in the buffer: {left} bytes {bytes}",
  "sticky.stuck":
    `The answer to "{second}" begins with the rest of the answer to
    "{first}". TCP carries a stream of bytes: recv takes what lies in the buffer,
    whoever it was meant for.`,
  "sticky.late": "still to come for the next command: {bytes}",
  "sticky.cure":
    `The cure: the same two commands through Limpet. Each answer is in
    frames that say how long they are and which command they belong to.`,
  "sticky.finding": "the second command printed the rest of the first answer",
  "sticky.cured": "each command got its own answer, whole",
  "sticky.number": "{leftInBuffer} bytes left in the buffer",

  "nagle.about": "several sends arrive as one read, with Nagle on and off",
  "nagle.title": "Several sends, one read",
  "nagle.intro":
    `A client sends {sends} small messages, {bytes} bytes in all, with
    one send each. The receiver has something else to do and reads when all are
    sent.`,
  "nagle.on": "Nagle on (small segments may wait for each other):",
  "nagle.off": "Nagle off (TCP_NODELAY: every segment leaves at once):",
  "nagle.why":
    `Off does not cure it. Nagle's algorithm decides when segments leave;
    on the other side their bytes line up in one receive buffer all the same, and
    a read takes whatever is in it.`,
  "nagle.quick":
    `A receiver that reads after every send: {reads} reads for {sends}
    sends. It looks right, and it is luck: nothing but timing keeps them apart.`,
  "nagle.cure":
    `The cure: the same messages in frames, with the receiver as late as
    before. The length before each message is its boundary.`,
  "nagle.finding": "there were fewer reads than sends, with Nagle on and off",
  "nagle.cured": "every message arrived by itself, as it was sent",
  "nagle.number": "{sends} sends; reads with Nagle off: {readsWithoutNagle}",

  "split.about": "one send arrives in many reads, or is not even sent whole",
  "split.title": "One send, many reads",
  "split.intro":
    `A client sends one message of {size} bytes. This is more than fits
    anywhere on the way:`,
  "split.mtu": "the loopback's MTU: {bytes} bytes",
  "split.sendBuffer": "send buffer, at most: {bytes} bytes",
  "split.receiveBuffer": "receive buffer, at first: {bytes} bytes",
  "split.send": "send({size} bytes) → {took} taken",
  "split.partial":
    `The kernel took what it had room for. The other {left} bytes are
    still the program's: whoever does not look at what send returns loses them.`,
  "split.first":
    "recv({asked}) → {got} bytes, which the lesson's client takes for all",
  "split.sends": "sendall: {sends} sends until nothing was left",
  "split.reads":
    `recv({asked}) → {reads} reads, from {smallest} to {largest} bytes:
    {sizes} …`,
  "split.why": `No read has the size of a send. How much comes at once is up to
    buffers, segments and who runs when, and is different each time.`,
  "split.cure": "The cure: the same message in one frame.",
  "split.message":
    "message → {got} bytes, one message; {sends} sends underneath",
  "split.finding": "one send was only partly taken, and arrived in many reads",
  "split.cured": "the message arrived whole, as one",
  "split.number": "{firstReadBytes} bytes at first, the rest in {reads} reads",

  "datagram.about": "UDP keeps boundaries, and loses what does not fit",
  "datagram.title": "Datagrams",
  "datagram.boundaries":
    `UDP keeps boundaries: {sends} sends, {receives} receives, each
    with one whole message, though all were sent before the first was received.`,
  "datagram.cut":
    `A datagram of {size} bytes, received with a smaller buffer, and
    then the next one:`,
  "datagram.gone":
    `{lost} bytes are gone: the kernel dropped what did not fit, and no
    later receive gets it`,
  "datagram.empty":
    `An empty datagram is a message: receive returned {got} bytes, and
    did not wait.`,
  "datagram.burst":
    `A burst: {sends} datagrams of {size} bytes, and nobody reads
    meanwhile. Every send succeeds.`,
  "datagram.buffer":
    "receive buffer: {bytes} bytes, with the kernel's bookkeeping",
  "datagram.lost":
    "{sends} sent, {receives} received, {lost} lost without a word",
  "datagram.over": "One byte more than a datagram holds:",
  "datagram.cure":
    `The cure: the very same messages through frames, over TCP: small,
    long, empty, too large, and the whole burst. TCP loses nothing, and frames
    give it boundaries.`,
  "datagram.framed":
    "{sends} messages sent, {receives} received whole, in order",
  "datagram.finding":
    "boundaries are kept; what was too long was cut, what was too much was lost",
  "datagram.cured": "every message arrived, whole and in order",
  "datagram.number": "{burstLost} of {burstSent} datagrams lost",

  "empty.about": "an empty message blocks both sides for ever",
  "empty.title": "The empty message",
  "empty.enter":
    `At the prompt, Enter and nothing else. The naive client sends zero
    bytes and waits for the answer; we watch for {ms} ms.`,
  "empty.sent": `send("") → {sent} bytes: nothing crosses the wire`,
  "empty.got": "commands that the server's recv has got: {served}",
  "empty.blocked": "the client's recv is still waiting: blocked",
  "empty.answered": "the client's recv has got an answer",
  "empty.ended": "the client's recv has got the end of the connection",
  "empty.silent":
    `The other way round: "{command}" prints nothing, so the naive server
    sends zero bytes for an answer. Another {ms} ms.`,
  "empty.woken":
    `Nothing is broken, they only wait: "{command}" wakes both, and its
    answer is taken for the first one's.`,
  "empty.cure":
    `The cure: a frame of length zero is ten bytes on the wire, and a
    message like any other. Limpet also says when a command has ended, so no
    output is an answer too.`,
  "empty.limpet": `"{command}" → {got} bytes, exit code {code}, at once`,
  "empty.finding": "zero bytes sent are no message, and both sides waited",
  "empty.cured": "the empty message arrived, and the empty answer too",
  "empty.number": "blocked for {waitMs} ms",

  "reset.about": "a client that resets kills the naive server for everybody",
  "reset.title": "The client that goes away",
  "reset.intro": `The naive server has no try around what it does for each
    client. A client sends
    "{command}", takes ten bytes of the answer and closes. The kernel is left with
    bytes that nobody will read, and answers the server with a reset.`,
  "reset.died": "the server's loop ended: {error}",
  "reset.unserved": "the next client: {error}",
  "reset.caught":
    `With a try around each client the naive server outlives it, and the
    next client is served:`,
  "reset.uncaught":
    `With a try around each client the naive server should outlive it, but the
    next client does not get its answer:`,
  "reset.cure":
    `The cure: Limpet's server. One client is at work (cat), a second runs
    a command without end, and resets in the middle of its output.`,
  "reset.ended": "the command of the client that left was ended by {signal}",
  "reset.bystander":
    "the client at work goes on as if nothing had been: {bytes}",
  "reset.next": "the next client is served: {bytes}",
  "reset.finding": "one client's reset ended the naive server for all",
  "reset.cured": "Limpet's server went on, and nobody else noticed",
  "reset.number": "{naiveServerDiedOf}",
} as const;

/** Which texts there are. */
export type TextKey = keyof typeof en;

/** Every text, in one language. */
export type Texts = Readonly<Record<TextKey, string>>;
