/**
 * The lab in Chinese. That it has the keys of English is for the compiler.
 *
 * @module
 */

import type { Texts } from "./en.ts";

export const zh: Texts = {
  "unknown": "本机查不到",
  "prompt": ">>: {command}",
  "recv": "recv({asked}) → 收到 {got} 字节 {bytes}",
  "receive": "receive({asked}) → 收到 {got} 字节",
  "receive.bytes": "receive({asked}) → 收到 {got} 字节 {bytes}",
  "answer": "响应 → {got} 字节 {bytes}",
  "message": "消息 → {got} 字节 {bytes}",
  "message.empty": "消息 → {got} 字节",
  "error": "报错：{message}",

  "verdict.observed": "已观察到：{finding}",
  "verdict.not_observed": "这次没有观察到：{finding}",
  "verdict.cured": "已解决：{cure}",
  "verdict.not_cured": "没有解决：{cure}",

  "list.title": "在真实套接字上做的实验",
  "list.how":
    `limpet lab 名称 --lang zh：运行其中一个；limpet lab all --lang zh：
    全部运行。`,
  "summary.title": "小结",
  "summary.lab": "实验",
  "summary.observed": "已观察到",
  "summary.cured": "已解决",
  "summary.number": "测得",
  "summary.yes": "✓",
  "summary.no": "✗",

  "sticky.about": "粘包：上一条命令没读完的输出，成了下一条命令的响应",
  "sticky.title": "粘包",
  "sticky.intro": `这个朴素的服务器把收到的内容交给 shell 执行，再把输出发回去；
    朴素的客户端发一条命令，只调用一次 recv(1024)。先执行“{first}”，输出很长；再执行
    “{second}”。`,
  "sticky.left": "留在缓冲区里：{left} 字节 {bytes}",
  "sticky.stuck":
    `“{second}”的响应，开头却是“{first}”剩下的输出。TCP 传的是字节流，
    没有消息边界：缓冲区里有什么，recv 就取走什么，不管它本来是给谁的。`,
  "sticky.late": "还没读到、将被下一条命令取走的：{bytes}",
  "sticky.cure":
    `解决办法：同样两条命令，改用 Limpet 来执行。每个响应都分装成帧，
    帧头写明长度，也写明它属于哪一条命令。`,
  "sticky.finding": "第二条命令打印出了第一条命令剩下的输出",
  "sticky.cured": "每条命令都得到了自己的、完整的响应",
  "sticky.number": "缓冲区里剩下 {leftInBuffer} 字节",

  "nagle.about": "发送多次，一次就全读到了；关不关 Nagle 都一样",
  "nagle.title": "多次发送，一次读到",
  "nagle.intro":
    `客户端发送 {sends} 条小消息，一共 {bytes} 字节，每条消息调用一次 send。
    接收方正忙着别的事，等全部发完才来读。`,
  "nagle.on": "打开 Nagle 算法（小报文段可能互相等待）：",
  "nagle.off": "关闭 Nagle 算法（TCP_NODELAY，报文段立即发出）：",
  "nagle.why": `关掉也没有用。Nagle 算法只决定报文段什么时候发出；到了对方那里，
    这些字节照样排进同一个接收缓冲区，读一次就把里面的都取走。`,
  "nagle.quick":
    `如果每发一条就马上读一次：发送 {sends} 次，读到 {reads} 次。看起来没问题，
    其实只是运气：把消息隔开的不过是时间差。`,
  "nagle.cure":
    `解决办法：同样的消息，每条装进一帧，接收方还是那么晚才读。消息前面的
    长度就是边界。`,
  "nagle.finding": "无论 Nagle 打开还是关闭，读的次数都比发送的次数少",
  "nagle.cured": "每条消息都单独到达，和发送时一模一样",
  "nagle.number": "发送 {sends} 次；关闭 Nagle 后读 {readsWithoutNagle} 次",

  "split.about": "半包：一次发送要读很多次，甚至一次根本发不完",
  "split.title": "半包：一次发送，多次读到",
  "split.intro":
    `客户端要发送一条 {size} 字节的消息，沿途任何一处缓冲区都装不下：`,
  "split.mtu": "回环接口的 MTU：{bytes} 字节",
  "split.sendBuffer": "发送缓冲区（最大）：{bytes} 字节",
  "split.receiveBuffer": "接收缓冲区（起初）：{bytes} 字节",
  "split.send": "send({size} 字节) → 只收下 {took} 字节",
  "split.partial":
    `内核有多少空间就收下多少。剩下的 {left} 字节仍要由程序自己来发：
    不检查 send 的返回值，这些字节就丢了。`,
  "split.first": "recv({asked}) → 收到 {got} 字节，课上的客户端以为这就是全部",
  "split.sends": "sendall：一共调用了 {sends} 次 send，才全部发完",
  "split.reads":
    `recv({asked}) → 读了 {reads} 次，每次 {smallest} 到 {largest} 字节：
    {sizes} …`,
  "split.why":
    `没有哪一次读到的大小和发送的一样。一次能读到多少，要看缓冲区、报文段，
    还有哪个进程先运行，每次都不同。`,
  "split.cure": "解决办法：把同一条消息装进一帧。",
  "split.message": "消息 → {got} 字节，完整的一条；底层调用了 {sends} 次 send",
  "split.finding": "一次 send 没有发完，对方分了很多次才读完",
  "split.cured": "消息完整到达，还是一条",
  "split.number": "先读到 {firstReadBytes} 字节，其余读了 {reads} 次",

  "datagram.about": "UDP 有消息边界，但装不下的就丢了",
  "datagram.title": "数据报",
  "datagram.boundaries":
    `UDP 保留消息边界：发送 {sends} 次，接收 {receives} 次，每次正好是
    完整的一条消息，尽管全部发完之后才开始接收。`,
  "datagram.cut":
    `一个 {size} 字节的数据报，接收时给的缓冲区却小一些；然后再接收
    下一个：`,
  "datagram.gone":
    `丢了 {lost} 字节：装不下的部分被内核扔掉了，以后再怎么接收也拿不到`,
  "datagram.empty":
    `空的数据报也是一条消息：receive 返回 {got} 字节，没有等待。`,
  "datagram.burst":
    `连续发送 {sends} 个 {size} 字节的数据报，期间没有人接收。每一次
    发送都是成功的。`,
  "datagram.buffer": "接收缓冲区：{bytes} 字节，内核自己的开销也算在内",
  "datagram.lost": "发送 {sends} 个，收到 {receives} 个，悄悄丢了 {lost} 个",
  "datagram.over": "再试一个比上限多一个字节的数据报：",
  "datagram.cure":
    `解决办法：同样这些消息——短的、长的、空的、超过上限的，还有刚才连续
    发送的全部——各装进一帧，通过 TCP 发送。TCP 不丢数据，帧补上边界。`,
  "datagram.framed": "发送 {sends} 条消息，按顺序完整收到 {receives} 条",
  "datagram.finding": "边界还在；但太长的被截断了，太多的被丢掉了",
  "datagram.cured": "每条消息都按顺序完整到达",
  "datagram.number": "{burstSent} 个数据报丢了 {burstLost} 个",

  "empty.about": "一条空消息，让两边永远等下去",
  "empty.title": "空消息",
  "empty.enter":
    `在提示符下什么也不输入，直接按回车。朴素的客户端发送零个字节，然后
    等待响应；我们观察 {ms} 毫秒。`,
  "empty.sent": `send("") → 发出 {sent} 字节：线路上什么也没有`,
  "empty.got": "服务器的 recv 至今收到的命令：{served} 条",
  "empty.blocked": "客户端的 recv 还在等：阻塞中",
  "empty.answered": "客户端的 recv 收到了响应",
  "empty.ended": "客户端的 recv 读到了连接的结尾",
  "empty.silent":
    `反过来也一样：“{command}”没有任何输出，朴素的服务器就发回零个字节。
    再观察 {ms} 毫秒。`,
  "empty.woken":
    `其实什么也没坏，只是都在等：“{command}”一来，两边都醒了，而它的响应
    被当成了第一条命令的响应。`,
  "empty.cure":
    `解决办法：长度为零的帧在线路上也有十个字节，和别的消息没有两样。
    Limpet 还会告诉对方命令已经结束，所以没有输出也是一种响应。`,
  "empty.limpet": "“{command}” → {got} 字节，退出码 {code}，立即返回",
  "empty.finding": "发送零个字节不算消息，两边都在等",
  "empty.cured": "空消息到了，空的响应也到了",
  "empty.number": "阻塞了 {waitMs} 毫秒",

  "reset.about": "一个客户端重置连接，朴素的服务器就对所有人停止了服务",
  "reset.title": "中途离开的客户端",
  "reset.intro":
    `朴素的服务器没有用 try 把对每个客户端的处理包起来。客户端发送“{command}”，只取了十个字节
    就关闭了连接。没有人会来读缓冲区里剩下的数据，内核就向服务器回应一个重置（RST）。`,
  "reset.died": "服务器的循环结束了：{error}",
  "reset.unserved": "下一个客户端：{error}",
  "reset.caught":
    `如果对每个客户端都捕获异常，朴素的服务器就能撑过去，下一个客户端得到了
    服务：`,
  "reset.uncaught":
    `如果对每个客户端都捕获异常，朴素的服务器本该撑过去，但下一个客户端没有得到
    自己的响应：`,
  "reset.cure":
    `解决办法：Limpet 的服务器。一个客户端正在工作（cat），另一个客户端运行一条
    没有尽头的命令，在输出中途重置连接。`,
  "reset.ended": "离开的客户端所启动的命令，已被 {signal} 结束",
  "reset.bystander": "正在工作的客户端毫无察觉：{bytes}",
  "reset.next": "下一个客户端照常得到服务：{bytes}",
  "reset.finding": "一个客户端重置连接，朴素的服务器就对所有人停止了服务",
  "reset.cured": "Limpet 的服务器继续运行，别人毫无察觉",
  "reset.number": "{naiveServerDiedOf}",
};
