package web

import "github.com/bulla-id/bulla/credential"

// frontTexts are the words of the front door, its tour and its shops.
var frontTexts = map[string]credential.Text{
	"front.title":        {English: "Prove a fact, show nothing else", Chinese: "证明事实，别无所示"},
	"front.what":         {English: "Offices give you credentials: where you live, what you own, that you are vaccinated. With Bulla you prove a fact about them, and whoever asked learns that it holds, and nothing that could recognise you the next time.", Chinese: "机构向您签发凭证：住在哪里、拥有什么、已接种疫苗。用 Bulla 您只证明其中的事实，对方只得知事实成立，下次也认不出您。"},
	"front.how":          {English: "What offices issue and revoke is sealed on a public chain, so that nothing is changed in silence; who may ask for what stands there, too.", Chinese: "机构签发和吊销的记录封存在公开的链上，任何改动都无法悄悄进行；谁可以要求什么也登记在链上。"},
	"front.dev":          {English: "This is a test chain with invented people. Everything is real but the people: the proofs, the chain, the offices' software.", Chinese: "这是测试链，人物均为虚构。除人物外一切都是真的：证明、链和机构的软件。"},
	"front.begin":        {English: "Begin: five minutes", Chinese: "开始体验（五分钟）"},
	"front.look":         {English: "Or look around", Chinese: "或随意看看"},
	"front.wallet":       {English: "The wallet in your browser", Chinese: "浏览器中的钱包"},
	"front.explorer":     {English: "The explorer of the chain", Chinese: "链的浏览器"},
	"front.back":         {English: "To the first page", Chinese: "返回首页"},
	"front.tour":         {English: "Three credentials, three shops", Chinese: "三份凭证，三家商户"},
	"front.step-receive": {English: "Receive", Chinese: "接收"},
	"front.receive":      {English: "Three offices have credentials for you. Each link opens your wallet, which asks for a passphrase the first time.", Chinese: "三个机构为您准备了凭证。每个链接都会打开您的钱包；首次打开时请设置口令。"},
	"front.step-prove":   {English: "Prove", Chinese: "证明"},
	"front.prove":        {English: "Go to a shop. It asks for one fact; your wallet shows what it would learn before you agree.", Chinese: "去一家商户。它只要求一个事实；在您同意之前，钱包会显示对方将得知什么。"},
	"front.step-chain":   {English: "Look behind it", Chinese: "看看背后"},
	"front.chain":        {English: "Your credentials' seals stand on the chain, without a word about you. Your own browser can check that nothing was changed.", Chinese: "您凭证的封块在链上，却没有一个字与您有关。您自己的浏览器就能核查其未被改动。"},
	"front.shop":         {English: "A relying party", Chinese: "验证方"},
	"front.open-wallet":  {English: "Open in your wallet", Chinese: "在您的钱包中打开"},
	"front.open-page":    {English: "Page with a code for a phone", Chinese: "供手机扫描的二维码页面"},
	"front.learned":      {English: "What the shop learned", Chinese: "商户得知的内容"},
	"front.hidden":       {English: "What else it saw, and what not", Chinese: "商户另外看到和没有看到的内容"},
	"front.gone-title":   {English: "There is no such page", Chinese: "没有这个页面"},
	"front.gone":         {English: "It may be of an earlier start. Begin again on the first page.", Chinese: "它可能属于上一次启动。请从首页重新开始。"},
	"front.down-title":   {English: "That did not work", Chinese: "未能完成"},
	"front.down":         {English: "Try again in a moment.", Chinese: "请稍后再试。"},
}
