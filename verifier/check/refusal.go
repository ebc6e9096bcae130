package check

import "github.com/bulla-id/bulla/credential"

// Code says which check refused a response. Codes are stable: programs and the texts of pages depend on them.
type Code string

// The codes, in the order of the checks.
const (
	SessionUnknown     Code = "session_unknown"
	SessionAnswered    Code = "session_answered"
	SessionExpired     Code = "session_expired"
	SessionExhausted   Code = "session_exhausted"
	NotDecrypted       Code = "not_decrypted"
	StateMismatch      Code = "state_mismatch"
	RefusedByHolder    Code = "refused_by_holder"
	WalletError        Code = "wallet_error"
	Malformed          Code = "malformed"
	NotCanonical       Code = "not_canonical"
	QueryMismatch      Code = "query_mismatch"
	NumberMalformed    Code = "n_malformed"
	NumberMismatch     Code = "n_mismatch"
	LinkMismatch       Code = "link_mismatch"
	ItemRepeated       Code = "item_repeated"
	RootUnknown        Code = "root_unknown"
	RootTooOld         Code = "root_too_old"
	IssuerSet          Code = "issuer_set"
	DisclosureMismatch Code = "disclosure_mismatch"
	PseudonymMismatch  Code = "pseudonym_mismatch"
	SubjectTagMismatch Code = "subject_tag_mismatch"
	KeyNotListed       Code = "key_not_listed"
	ProofMalformed     Code = "proof_malformed"
	ProofInvalid       Code = "proof_invalid"
	PseudonymUsed      Code = "pseudonym_used"
	SubjectTagUsed     Code = "subject_tag_used"
	ScopeClosed        Code = "scope_closed"

	// Of companions.
	CompanionNotHere   Code = "companion_not_here"
	CompanionMalformed Code = "companion_malformed"
	CompanionIssuer    Code = "companion_issuer"
	CompanionInvalid   Code = "companion_invalid"
	CompanionBinding   Code = "companion_binding"
	CompanionExcess    Code = "companion_excess"
	CompanionUnmet     Code = "companion_unmet"

	// Unavailable is no refusal: we could not check.
	Unavailable Code = "unavailable"
)

// texts are for people. The English ones are printable ASCII, as error_description must be. None says which condition
// on a person was not met: a proof that fails does not tell, and we do not guess.
var texts = map[Code]credential.Text{
	SessionUnknown:     {English: "there is no such request", Chinese: "没有这个请求"},
	SessionAnswered:    {English: "this request was answered already; a presentation counts once", Chinese: "该请求已被答复；出示只计一次"},
	SessionExpired:     {English: "this request has expired", Chinese: "该请求已过期"},
	SessionExhausted:   {English: "too many responses to this request were refused", Chinese: "对该请求的答复被拒绝次数过多"},
	NotDecrypted:       {English: "the response is not encrypted to the key of this request, in a way that it names", Chinese: "答复未按该请求给出的密钥和方式加密"},
	StateMismatch:      {English: "state is not that of this request", Chinese: "state 与该请求不符"},
	RefusedByHolder:    {English: "the person declined, or has no fitting credential", Chinese: "本人拒绝出示，或没有合适的凭证"},
	WalletError:        {English: "the wallet could not process this request", Chinese: "钱包无法处理该请求"},
	Malformed:          {English: "the response is not of the form that the format defines", Chinese: "答复不符合格式规定"},
	NotCanonical:       {English: "a value in the response is not in its one canonical form", Chinese: "答复中有值不是唯一规范形式"},
	QueryMismatch:      {English: "the response does not have exactly one presentation for each query, under the system asked for", Chinese: "答复没有按所要求的证明系统对每项查询恰好给出一个出示"},
	NumberMalformed:    {English: "the response number n is not 31 random bytes", Chinese: "答复随机数 n 不是 31 个随机字节"},
	NumberMismatch:     {English: "presentations of one response have different numbers n", Chinese: "同一答复中的出示使用了不同的随机数 n"},
	LinkMismatch:       {English: "the credentials in the response do not belong to one person", Chinese: "答复中的凭证不属于同一人"},
	ItemRepeated:       {English: "one credential is shown as two", Chinese: "同一凭证被当作两个出示"},
	RootUnknown:        {English: "the active root is in no seal of the chain within reach", Chinese: "链上可及的封块中没有该有效树根"},
	RootTooOld:         {English: "the active root is older than the policy allows; update the wallet and answer again", Chinese: "有效树根早于策略允许的时间；请更新钱包后重新答复"},
	IssuerSet:          {English: "no accepted issuer is in good standing at the root's seal", Chinese: "在该封块时没有资格良好的可接受签发方"},
	DisclosureMismatch: {English: "the disclosed values are not exactly those asked for, in the schema's form", Chinese: "披露的值与所要求的不符或格式不对"},
	PseudonymMismatch:  {English: "a pseudonym is missing where one is asked, or there where none is", Chinese: "缺少所要求的假名，或给出了未要求的假名"},
	SubjectTagMismatch: {English: "a subject tag is missing where one is asked, or there where none is", Chinese: "缺少所要求的标的标签，或给出了未要求的标签"},
	KeyNotListed:       {English: "the chain does not list the verifying key, or no longer", Chinese: "链上未列出该验证密钥，或该密钥已到期"},
	ProofMalformed:     {English: "a proof is not 128 bytes of valid curve points", Chinese: "证明不是 128 字节的有效曲线点"},
	ProofInvalid:       {English: "a proof does not prove what was asked", Chinese: "证明不能证明所要求的内容"},
	PseudonymUsed:      {English: "this works once per person, and this person was here before", Chinese: "每人仅限一次，此人已使用过"},
	SubjectTagUsed:     {English: "this works once per thing, and this thing was used before", Chinese: "每物仅限一次，此物已使用过"},
	ScopeClosed:        {English: "what this was asked for has been closed", Chinese: "该事项已关闭，不再受理"},
	CompanionNotHere:   {English: "companions are checked with their issuer's web server, and not here; answer with a proof", Chinese: "伴随凭证须经签发机构的网站核验，此处无法核验；请改用证明作答"},
	CompanionMalformed: {English: "the companion is not one dc+sd-jwt of the form that is accepted", Chinese: "伴随凭证不是所接受形式的 dc+sd-jwt"},
	CompanionIssuer:    {English: "the companion is not signed by an accepted issuer that is in good standing", Chinese: "伴随凭证并非由资格良好的可接受签发方签名"},
	CompanionInvalid:   {English: "the companion is not one of the type that was asked for, or is not valid now", Chinese: "伴随凭证不是所要求的类型，或目前无效"},
	CompanionBinding:   {English: "the companion is not bound to this request by its holder's key", Chinese: "伴随凭证未由持有人密钥与该请求绑定"},
	CompanionExcess:    {English: "the companion shows more than was asked for; show only that", Chinese: "伴随凭证出示的内容超出要求；请仅出示所要求的内容"},
	CompanionUnmet:     {English: "what the companion shows does not fulfil what was asked", Chinese: "伴随凭证所示内容不满足要求"},
	Unavailable:        {English: "the response could not be checked now; send it again", Chinese: "目前无法核验该答复；请重新发送"},
}

// Text is what the code means, for people.
func (c Code) Text() credential.Text { return texts[c] }

// Refusal says why a response was refused. Its words never quote the response; the cause may, so it is for tests and
// debuggers and must not be logged.
type Refusal struct {
	Code  Code
	Query string // id of the query that the refused presentation answers, or empty
	cause error
}

// Refuse makes a refusal. cause may be nil.
func Refuse(code Code, query string, cause error) *Refusal { return &Refusal{code, query, cause} }

// Error is the English text, printable ASCII, with the query.
func (r *Refusal) Error() string {
	text := texts[r.Code].English
	if r.Query != "" {
		text += " (query " + r.Query + ")"
	}
	return text
}

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.cause }
