/**
 * What robots ask a web server for when they look for something to break into. Several web filters
 * share these lists. An entry of a path list is the beginning of a path; what follows it does not
 * matter. Names of programs and files have their own spelling.
 */
import type { Token } from '../compiler/pattern.ts';
import { choice, literal, optional } from './tokens.ts';

/** Web mail, database consoles, blog logins and script folders, at their usual places. */
export const probedApplications = [
  'roundcube',
  'extmail',
  'mail',
  'horde',
  'v-webmail',
  'vwebmail',
  'webmail',
  ...['', 'typo3/', 'xampp/', 'admin/'].flatMap((folder) =>
    ['pma', 'phpmyadmin', 'phpMyAdmin', 'phpmyAdmin', 'phpMyadmin', 'myadmin', 'MyAdmin', 'myAdmin', 'Myadmin'].map(
      (console) => folder + console,
    ),
  ),
  'wp-login.php',
  'wp-signup.php',
  'wp-admin.php',
  'cgi-bin',
  'mysqladmin',
];

/** One of these paths, with or without a doubled slash before it. */
export const probedPathTokens: Token[] = [optional(literal('/')), choice(...probedApplications)];

/**
 * User agents of programs that collect mail addresses or fill in forms. If one name begins with
 * another, the longer one comes first.
 */
export const addressHarvesters = [
  'Atomic_Email_Hunter/4.0',
  'autoemailspider',
  'bwh3_user_agent',
  'ContactBot/0.2',
  'ContentSmartz',
  'DataCha0s/2.0',
  'EmailCollector',
  'EmailSiphon',
  'EmailSpider',
  'EmailWolf 1.00',
  'ExtractorPro',
  'Guestbook Auto Submitter',
  'LARBIN-EXPERIMENTAL (efp@gmx.net)',
  'Mozilla/3.0 (compatible; scan4mail (advanced version) http://www.peterspages.net/?scan4mail)',
  'Mozilla/3.0 (compatible; scan4mail (advanced version) http://www.peterspages.net/scan4mail)',
  'Mozilla/4.0 (compatible; Advanced Email Extractor v2.xx)',
  'Mozilla/4.0 efp@gmx.net',
  'WebEMailExtrac',
  'searchbot admin@google.com',
];

/** User agents that name no real program: forged names and the defaults of spam tools. */
export const forgedAgents = [
  'China Local Browse 2.6',
  'DBrowse 1.4b',
  'DBrowse 1.4d',
  'Demo Bot DOT 16b',
  'Demo Bot Z 16b',
  'DSurf15a 01',
  'DSurf15a 71',
  'DSurf15a 81',
  'DSurf15a VA',
  'EBrowse 1.4b',
  'Educate Search VxB',
  'ESurf15a 15',
  'Franklin Locator 1.8',
  'FSurf15a 01',
  'Full Web Bot 0416B',
  'Full Web Bot 0516B',
  'Full Web Bot 2816B',
  'Industry Program 1.0.x',
  'ISC Systems iRc Search 2.1',
  'IUPUI Research Bot v 1.9a',
  'Lincoln State Web Browser',
  'LMQueueBot/0.2',
  'LWP::Simple/5.803',
  'Mac Finder 1.0.xx',
  'MFC Foundation Class Library 4.0',
  'Microsoft URL Control - 6.00.8xxx',
  'Missauga Locate 1.0.0',
  'Missigua Locator 1.9',
  'Missouri College Browse',
  'Mizzu Labs 2.2',
  'Mo College 1.9',
  'MVAClient',
  'Mozilla/2.0 (compatible; NEWT ActiveX; Win32)',
  'Mozilla/3.0 (compatible; Indy Library)',
  'Mozilla/4.0 (compatible; MSIE 5.0; Windows NT; DigExt; DTS Agent',
  'Mozilla/5.0 (Version: xxxx Type:xx)',
  'NASA Search 1.0',
  'Nsauditor/1.x',
  'PBrowse 1.4b',
  'PEval 1.4b',
  'Port Huron Labs',
  'Production Bot 0116B',
  'Production Bot 2016B',
  'Production Bot DOT 3016B',
  'Program Shareware 1.0.2',
  'PSurf15a 11',
  'PSurf15a 51',
  'PSurf15a VA',
  'RSurf15a 41',
  'RSurf15a 51',
  'RSurf15a 81',
  'SSurf15a 11 ',
  'TrackBack/1.02',
  'TSurf15a 11',
  'Under the Rainbow 2.2',
  'User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)',
  'WebVulnCrawl.unknown/1.0 libwww-perl/5.803',
  'Wells Search II',
  'WEP Search 00',
];

/** User agents of crawlers that fetch everything and follow no rules. */
export const rudeCrawlers = [
  'atSpider/1.0',
  'LetsCrawl.com/1.0 +http://letscrawl.com/',
  'Mozilla/4.0 (compatible; Iplexx Spider/1.0 http://www.iplexx.at)',
  'NameOfAgent (CMS Spider)',
  'Poirot',
  'psycheclone',
  'ShablastBot 1.0',
  'snap.com beta crawler v0',
  'Snapbot/1.0 (Snap Shots&#44; +http://www.snap.com)',
  'Snapbot/1.0',
  'sogou develop spider',
  'sogou music spider',
  'sogou spider',
  'Sogou Orion spider/3.0(+http://www.sogou.com/docs/help/webmasters.htm#07)',
  'Sogou web spider/3.0(+http://www.sogou.com/docs/help/webmasters.htm#07)',
  'sohu agent',
  'VadixBot',
];
